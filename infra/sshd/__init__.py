"""The SSH node: an sshd through which hubs reach servers, and that does nothing else for anybody."""
