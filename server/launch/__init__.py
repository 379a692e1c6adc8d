"""Starting and stopping the whole installation: store, web, worker and sequencer."""
