# SPDX-License-Identifier: Apache-2.0
"""Runs on devices, with numpy and datasketches alone: inputs, outputs and confidences become small mergeable sketches."""
