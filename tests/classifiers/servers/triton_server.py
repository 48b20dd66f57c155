"""Serves a tree with NVIDIA's Triton on CPUs: python triton_server.py TREE.npz HTTP_PORT GRPC_PORT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

sys.path.insert(0, str(Path(__file__).parent))

from tree import Tree

if __name__ == "__main__":
    tree, http, grpc = Tree(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

    @batch
    def infer(pixels):
        return {"scores": tree(pixels).astype(np.float32)}

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=http,
        grpc_address="127.0.0.1",
        grpc_port=grpc,
        allow_metrics=False,
        exit_on_error=True,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="digits",
            infer_func=infer,
            inputs=[Tensor(name="pixels", dtype=np.float32, shape=(784,))],
            outputs=[Tensor(name="scores", dtype=np.float32, shape=(10,))],
            config=ModelConfig(max_batch_size=8),
        )
        triton.serve()
