"""What is measured and shown of codes, and of what decoders make of them."""
