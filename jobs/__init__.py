"""The commands of ``formscribe``: arguments, progress, exit codes."""
