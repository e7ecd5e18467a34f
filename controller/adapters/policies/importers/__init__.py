"""SLOPolicies made from what owners already have: Pyrra, Sloth, OpenSLO."""

from controller.adapters.policies.importers.convert import Imported, SourceFormat, convert

__all__ = ["Imported", "SourceFormat", "convert"]
