"""The text of manifests: single fields of YAML and JSON files, read and written in place."""

from controller.adapters.manifests.editor import ManifestText

__all__ = ["ManifestText"]
