"""Looking through Kubernetes' manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Manifest = dict[str, Any]

OF_OTHERS = {
    "monitoring.coreos.com/v1": {
        "ServiceMonitor": {"type": "object", "required": ["selector", "endpoints"]},
        "PrometheusRule": {
            "type": "object",
            "required": ["groups"],
            "properties": {"groups": {"type": "array", "minItems": 1, "items": {"required": ["name", "rules"]}}},
        },
    },
    "keda.sh/v1alpha1": {
        "ScaledObject": {
            "type": "object",
            "required": ["scaleTargetRef", "triggers"],
            "properties": {
                "triggers": {
                    "items": {
                        "required": ["type", "metadata"],
                        "properties": {"metadata": {"additionalProperties": {"type": "string"}}},
                    }
                }
            },
        },
    },
}
"""Kinds that are no part of Kubernetes: what their specification cannot be without."""


def of_kind(manifests: Iterable[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pod_templates(manifests: Iterable[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod that is made, with the name of what makes it; there is one at least."""
    made = [manifest for manifest in manifests if manifest["kind"] in ("Deployment", "Job")]
    assert made
    for manifest in made:
        yield manifest["metadata"]["name"], manifest["spec"]["template"]


def selects(selector: Manifest, template: Manifest) -> bool:
    """Whether a selector of labels means a pod."""
    return selector.items() <= template["metadata"]["labels"].items()
