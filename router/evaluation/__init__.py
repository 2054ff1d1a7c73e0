"""Honest evaluation of routing policies on tables of outcomes: pure, seeded, nothing chosen on what is reported."""
