"""Recorded runs made again and compared: `zeroscale reproduce`."""
