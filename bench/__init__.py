"""Benchmarks of ostree-go. `python3 -m bench --help`, run at the top of the source tree, lists them."""
