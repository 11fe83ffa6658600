"""Stable Diffusion's latent space as a codec: what needs no torch, and networks loaded on call."""
