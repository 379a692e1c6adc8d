"""The journal protocol, the evidence chain and the device client."""
