"""The decoder. Nothing is imported here: plans and settings use `flops`, `memory` and `config` without torch."""
