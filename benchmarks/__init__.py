"""Speed, shown as ratios against a named baseline of the same run. `make bench` runs them all."""
