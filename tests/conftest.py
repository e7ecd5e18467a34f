"""What all tests share: property-based tests have no time limit for an example, since a machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("rollguard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rollguard")
