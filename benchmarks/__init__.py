"""CPU per request beside other servers: ``python -m benchmarks``, or ``make bench``."""
