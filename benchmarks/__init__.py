"""What fcgikit costs beside other servers: ``python -m benchmarks``, or ``make bench``."""
