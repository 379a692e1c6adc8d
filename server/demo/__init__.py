"""The demonstration (演示数据): a fictitious bureau and a patrol through the real device client."""
