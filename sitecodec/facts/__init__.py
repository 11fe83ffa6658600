"""The facts that all rooms share: formats, families of payloads, reasons, calibrated numbers."""
