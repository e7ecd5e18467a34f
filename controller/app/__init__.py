"""The composition root: the only room that knows every other."""

from controller.app.build import Rollguard, build
from controller.app.clocks import SystemClock
from controller.app.ground import Election
from controller.app.policies import load_policies
from controller.app.repositories import git_repository

__all__ = ["Election", "Rollguard", "SystemClock", "build", "git_repository", "load_policies"]
