"""Wiring, people, and the pages that look over all apps; nothing imports it."""

VERSION = "0.1.0"
