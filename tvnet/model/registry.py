"""Every method by the name that the settings give it: TV-Net and the rivals beside it.

Nine other systems of Table 2 are described in the course and not built (D46).
"""

from tvnet.model.method import Method
from tvnet.model.rivals.cmpc import CMPC
from tvnet.model.rivals.lstm_cnn import LSTMCNN
from tvnet.model.tvnet import TVNet
from tvnet.settings import Settings

METHODS: dict[str, type[Method]] = {"tvnet": TVNet, "cmpc": CMPC, "lstm-cnn": LSTMCNN}


def build(settings: Settings, vocabulary_size: int) -> Method:
    """The untrained model of `settings.model.method`."""
    return METHODS[settings.model.method](settings, vocabulary_size)
