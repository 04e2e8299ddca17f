"""The evaluation harness: cards name benchmarks, tasks turn them into requests, the engine answers those,
and metrics with intervals come out. A task never sees a batch; the engine never sees a benchmark.
"""
