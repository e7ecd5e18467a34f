"""Progressive rollout in Git: versions that move from stage to stage, each step guarded."""
