# SPDX-License-Identifier: Apache-2.0
"""Training of the default models: detectors of machine-readable codes."""

CLASSES = ("qr_code", "data_matrix", "aztec", "pdf417", "linear")
