"""What benchmarks and a training corpus share: `zeroscale overlap`. The n-grams themselves are `provenance`'s."""
