"""Every operator; importing this package fills `base.REGISTRY`."""

from . import activations as activations
from . import arithmetic as arithmetic
from . import attention as attention
from . import axes as axes
from . import convolution as convolution
from . import embedding as embedding
from . import generation as generation
from . import global_pooling as global_pooling
from . import layer_normalization as layer_normalization
from . import linear as linear
from . import merge as merge
from . import normalization as normalization
from . import padding as padding
from . import pooling as pooling
from . import recurrent as recurrent
from . import reduce as reduce
from . import regularization as regularization
from . import resample as resample
from . import rescale as rescale
from . import response_normalization as response_normalization
from . import sequence_pooling as sequence_pooling
from . import shape as shape
from . import slicing as slicing
from . import softmax as softmax
from . import tensors as tensors
from . import transposed_convolution as transposed_convolution
