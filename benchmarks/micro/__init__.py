"""What single steps of the hot path cost: ``python -m benchmarks.micro``."""
