"""The monitor screen and its panes; each pane takes plain data."""
