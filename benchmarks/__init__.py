"""How fast it is, measured: `python -m benchmarks` (or `make bench`); docs/performance.md tells the method.

callbacks   made-up Duett callbacks, as sent and as raw records
gauge       CPU of a process tree, the calibration loop, pinning
program     a real process on one core; what is read back from Kafka
kafka       the real broker, topics, backlog
worker      S1: `connector work` against a plain Faust agent
stations    the same bodies through each station alone: micro tier, and the profile of S1
ingress     I1: `connector serve` against FastAPI; `load` sends
rebuild     S4: state out of a changelog; `rebuilding` is the process under test
peers/      the peers' programs, complete
results     rounds -> figures -> JSON; `table` makes docs/performance.md's table of it
"""
