"""``rollguard demo``: the whole loop on this machine.

Invariant: nothing is pretended. Git, Prometheus, the controller and the requests are real; only the shop's faults are
made on purpose. Everything listens on the loopback interface, lives in one folder and ends with the demo.
"""
