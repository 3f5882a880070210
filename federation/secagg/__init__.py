"""Secure aggregation: the office learns the sum of the communities' updates, and no single one.

After Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning"
(CCS 2017), with the node trusting its coordinator with nothing but the office's directory:

1. `advertise`  each node signs fresh public keys, one pair for every round of the run
2. `share`      it checks everybody's, and deals shares of its own secrets to the others
3. `mask`       each round: its update plus masks that cancel in the sum, plus one that does not
4. `unmask`     it gives the shares that take the rest away: of a survivor's own mask, or of a lost
                node's pairwise key, never of both

Steps 1 and 2 are done once per run: the secrets of all rounds are dealt ahead, each round has its
own, and what a round reveals says nothing of another. `member` is the node's side and holds every
refusal, `total` is the office's. Nothing here knows Flower.
"""
