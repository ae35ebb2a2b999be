"""The recurrent modules that generated files carry."""

from __future__ import annotations

from .base import Helper

RECURRENT = Helper(
    "Recurrent",
    '''class Recurrent:
    """What the recurrent layers below add to torch's: lengths, named results, other beginnings."""

    def run(self, x, lengths, state):
        """All outputs [B, T, D * H], 0 behind a sample's length, and the state at its end."""
        if lengths is None:
            return super().forward(x, state)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), True, enforce_sorted=False)
        outputs, state = super().forward(packed, state)
        return nn.utils.rnn.pad_packed_sequence(outputs, True, total_length=x.shape[1])[0], state

    def last(self, hidden):
        """The top layer's state, [B, D * H]: both directions side by side."""
        return hidden[-2 if self.bidirectional else -1 :].transpose(0, 1).flatten(1)

    def gates(self, kind):
        """The gates' parts of every tensor of a kind, such as `weight_hh`, in torch's order."""
        for name, tensor in self.named_parameters(recurse=False):
            if name.startswith(kind):
                yield tensor.detach().split(self.hidden_size)

    def init_recurrent(self, init):
        """Let the weights from state to state begin as nn.init.orthogonal_ or nn.init.eye_ does."""
        for gates in self.gates("weight_hh"):
            for gate in gates:
                init(gate)
''',
)

_RNN = '''class Rnn(Recurrent, nn.RNN):
    """nn.RNN over x [B, T, C] with lengths [B]; hidden: [layers * D, B, H]."""

    def forward(self, x, lengths=None, hidden=None):
        sequence, hidden = self.run(x, lengths, hidden)
        return sequence, self.last(hidden), hidden
'''

_GRU = '''class Gru(Recurrent, nn.GRU):
    """nn.GRU over x [B, T, C] with lengths [B]; hidden: [layers * D, B, H]."""

    def forward(self, x, lengths=None, hidden=None):
        sequence, hidden = self.run(x, lengths, hidden)
        return sequence, self.last(hidden), hidden
'''

_LSTM = '''class Lstm(Recurrent, nn.LSTM):
    """nn.LSTM over x [B, T, C] with lengths [B]; hidden and cell: [layers * D, B, H]."""

    def forward(self, x, lengths=None, hidden=None, cell=None):
        state = None if hidden is None else (hidden, cell)
        sequence, (hidden, cell) = self.run(x, lengths, state)
        return sequence, self.last(hidden), hidden, cell

    def init_forget_bias(self, value):
        """Let the gates that forget begin with this bias, the sum of both of torch's."""
        for kind, start in (("bias_ih", value), ("bias_hh", 0.0)):
            for _, forget, _, _ in self.gates(kind):
                forget.fill_(start)
'''

RNN = Helper("Rnn", _RNN, (RECURRENT,))
GRU = Helper("Gru", _GRU, (RECURRENT,))
LSTM = Helper("Lstm", _LSTM, (RECURRENT,))
