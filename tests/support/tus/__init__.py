"""The requirements of tus 1.0 as rows of requests and the answers they demand."""
