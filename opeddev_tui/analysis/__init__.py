"""Pure statistics on recorded figures: early stopping, agreement, learning curve, forecast."""
