"""Two studies side by side, and how many routed prompts repay a study's own carbon."""
