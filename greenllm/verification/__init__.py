"""What must hold in an installation, whatever happened to it, and a look at whether it does."""
