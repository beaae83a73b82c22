"""The screen: app, screens, panes. It knows events and plain data, never the training stack."""
