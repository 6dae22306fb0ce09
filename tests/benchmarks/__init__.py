"""Benchmarks of stowage.fleet, each with its peers measured in the same run. See README.md."""
