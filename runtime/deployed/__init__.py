"""How good an exported objective is, and what it shows of itself, in ONNX Runtime alone."""
