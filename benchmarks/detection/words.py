"""The scoreboard's fixed words."""

DIRECTORY = "scoreboard"
COMMAND = "python -m benchmarks.detection"

HEAD = f"""# Scoreboard

How often Rollguard rolls back what was fine, how soon it finds what is bad, and how other tools' rules do on the same
deployments. All of it is simulated: {{families}} families, {{runs}} deployments, seed {{seed}}. `{COMMAND}`
(`--jobs 2`: by two processes) makes this page again, with the same figures; [figures.json]({DIRECTORY}/figures.json)
holds more of them.

Unless a family's name says otherwise: a service with 10 requests a second, .1 % bad before, an SLO of 99 %, ticks of
15 s, 24 hours before the deployment and 30 minutes after it, Healthy at once. Requests come as a Poisson process.
Rollguard is run by the controller's own functions, with a policy of nothing but defaults (false-rollback rate 1 in 1000,
warm-up 60 s) and controls where a family has them; the others are rules written from their documentation. What each
family is, exactly, is in `benchmarks/detection/families.py`.

*Fine* families keep the assumptions of [statistics.md](statistics.md), so their rates are guaranteed and here only
confirmed (where that fails, the family's note says why); *fine, outside the assumptions* are simulated only: other walks
and bursts give other figures."""

SHORT_NOTE = """{met} of {all} goals are met, {missed} are missed, {open} are left open by too few runs. Goals are of one
family each; what is missed is listed below, with its reason."""

FALSE_NOTE = """Rollbacks that were not due. *At most* is the upper end of Wilson's 95 % interval. The others' columns are
rollbacks per 1000: as documented / tuned / tuned loosely (see [below](#how-the-others-were-set))."""

COVERAGE_NOTE = """Every leg's evidence alone, on traffic that is exactly at the leg's limit: the worst traffic that is still
fine. 120 looks each; counted is whether the evidence ever reached 1/α = 1000. No baseline is estimated here and no
side condition helps, so this is what Ville's inequality promises, measured."""

ATTRIBUTION_NOTE = """Controls have 50 requests a second. In *another's fault* the SLO is breached, and something says that
the deployment is not the cause: controls, old pods beside the new ones, or the time before. *Not to be told apart* are
the same faults with nothing to compare with: a trace of one service alone cannot tell them from a bad version, so they
are rolled back, and that is why controls ought to be declared. The verdict is that at the deadline."""

SOON_NOTE = """Median seconds to the verdict from the onset (for rolling updates, from the full rollout), counted at the
end of the tick that decides; in brackets the share that is found at all, where it is below 99.5 %; – where it is less
than half. *90 %*: nine of ten deployments are decided by then. The oracle is told the true bad share of every tick, and
sums its evidence to ln 1000 against the same limits as Rollguard. The others: as documented / tuned / tuned loosely.

A rule that is sooner as documented pays for it in false rollbacks (table above)."""

SERVED_NOTE = """Median bad requests from the end of the warm-up (or the onset, if later) until the verdict, or the deadline.
The bound is q·ln(1/α)/KL(q‖p0), with ln 2K (K = 120) more where the onset is late; it takes no account of ticks, in
which alone verdicts come: a service with 10 requests a second that fails altogether serves 150 in the first. The
others: as documented / tuned / tuned loosely."""

ALONE_NOTE = """Objectives that count rare events from the sync on, and gauges in blocks of five minutes against the week
before. Other tools' rules have nothing of the kind, so Rollguard is alone here. They are judged one by one, which takes
longer, so there are fewer of them. A gauge needs two blocks after the warm-up: eleven minutes at the earliest, however
bad it is. One that may change by 1 % is beyond its tolerance nearly all the time, so that the evidence alone keeps it
from a rollback."""

HOW_OTHERS = """One setting of each for all families. *Threshold* is in multiples of the bad share that the SLO allows
(Kayenta: its `allowedIncrease`; PipeCD PREVIOUS: the level of its test, which is fixed; burn rates: a factor on both).
*Count* is the miss that rolls back (burn rates: evaluations in a row). *Tuned*: of all settings tried, among those that
roll back at most as often as Rollguard, averaged over the fine families, the one that decides soonest over the bad ones.
It is chosen on the same deployments on which it is scored, which favours it. Services with very little traffic force
patience on rules that count an empty answer as a miss. *Tuned loosely* favours them more: one false rollback in 1000 is
allowed, and only the fine families with at least one request a second count.

- Flagger: success rate over 1 minute, checked every minute; no requests is a failed check; failed checks are not forgotten.
- Argo Rollouts: success rate over 5 minutes, measured every 5 minutes, first after 60 s; NaN is a failed measurement.
- Kayenta (NetflixACAJudge): Mann–Whitney with a 98 % interval, against the half hour before; points of 1 minute, judged
  every 5 minutes.
- PipeCD THRESHOLD and PREVIOUS: rates over 5 minutes, a point a minute, asked every 5 minutes; the previous deployment
  was 5 hours before.
- Burn-rate alerts: 14.4 over 1 hour and 5 minutes, or 6 over 6 hours and 30 minutes; the first alert rolls back.

All start after the same 60 s. Their windows may reach back into the warm-up, and before the deployment: so they are
documented."""
