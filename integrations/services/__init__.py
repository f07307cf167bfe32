# SPDX-License-Identifier: Apache-2.0
"""What talks to a toolkit, a device or a service. Found by entry point; never imported by steps or pipelines."""
