# SPDX-License-Identifier: Apache-2.0
"""Parts of a race against peers: data, edgewright's release, the peers' files, measuring, table and plot."""
