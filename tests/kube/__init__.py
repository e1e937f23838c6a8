"""Tests on a real kube-apiserver, with a stand-in for the node's kubelet."""
