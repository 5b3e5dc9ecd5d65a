"""Vectors of customers: of those who were trained on, and of everybody else."""

import pytest
import torch

from atelier.nn.customer_network import CustomerNetwork, CustomerVectors
from atelier.nn.embeddings import RowEmbedding


def test_whoever_training_never_saw_has_the_mean_of_those_it_did() -> None:
    embedding = RowEmbedding(4, 3, 0.1, torch.Generator().manual_seed(0))
    customers = CustomerVectors(embedding)
    vectors, unknown = customers.vectors()
    assert (vectors == 0).all()
    assert unknown.tolist() == [0, 0, 0]
    used = torch.tensor([0, 2])
    leaf = embedding.leaf(used)
    leaf.sum().backward()
    embedding.step(used, leaf)
    vectors, unknown = customers.vectors()
    torch.testing.assert_close(vectors[used], embedding.weight[used])
    torch.testing.assert_close(unknown, embedding.weight[used].mean(0))
    torch.testing.assert_close(vectors[[1, 3]], unknown.expand(2, 3))
    with pytest.raises(ValueError, match="nothing is made of attributes"):
        customers.of_attributes(used)


def test_attributes_make_the_vectors() -> None:
    network = CustomerNetwork(2, 5, 3, torch.Generator().manual_seed(0))
    torch.nn.init.normal_(network.last.weight)
    attributes = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    customers = CustomerVectors(None, network, attributes)
    vectors, unknown = customers.vectors()
    torch.testing.assert_close(vectors, network(attributes))
    torch.testing.assert_close(customers.of_attributes(torch.tensor([1, 1, 0])), network(attributes[[1, 1, 0]]))
    torch.testing.assert_close(unknown, network(torch.zeros(2)))
    assert "attributes" not in customers.state_dict()  # they are data, no weights
    with pytest.raises(ValueError, match="either by an embedding or by a network"):
        CustomerVectors(None)
    with pytest.raises(ValueError, match="either by an embedding or by a network"):
        CustomerVectors(RowEmbedding(2, 3, 0.1, torch.Generator()), network, attributes)
