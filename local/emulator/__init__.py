"""``python -m local``: the functions of template.yaml, run on this machine as they would run on Lambda."""
