"""What takes minutes: crashes and races of real processes."""
