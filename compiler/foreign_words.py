"""What other tools call the words of the language: PyTorch, Lightning, Keras, Hugging Face, papers.

A word stands here in lower case and without `_`, so that `batch_size`, `batchSize` and `BatchSize`
are one. Of its meanings, the first that exists in a place is offered there. Words that are near to
ours, such as `epoch`, need no entry; `suggest` finds them by their letters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def translated(word: str, known: Collection[str]) -> str | None:
    """The one of the known words that another tool's word stands for."""
    plain = word.casefold().replace("_", "").replace("-", "").replace(" ", "")
    return next((own for own in MEANINGS.get(plain, ()) if own in known), None)


def _entries(lines: str) -> dict[str, tuple[str, ...]]:
    """Entries of lines such as `units nout: features, channels`."""
    found: dict[str, tuple[str, ...]] = {}
    for line in filter(None, map(str.strip, lines.split("\n"))):
        words, _, meanings = line.partition(": ")
        found |= dict.fromkeys(words.split(), tuple(meanings.split(", ")))
    return found


SECTIONS = """
    model models architecture net: networks
    train trainer hyperparameters hyperparams config: training
    dataset datasets dataloader: data
    loss losses criterion task: objective
    version edition: spec
    title: name
    description: summary
    include includes import: imports
    variables vars args: params
    modules components templates: blocks
    onnx deploy deployment: export
    asserts assertions tests: expect
    noqa ignore suppress: lint
"""

LAYERS = """
    name label: id
    input inputs source bottomlayer: from
    if condition enabled: when
    otherwise: else
    times count num: repeat
    tied tieweights weightsharing: tie
    nodes modules stack: layers
"""

OPERATORS = """
    dense fc fullyconnected affine: linear
    conv convolution convolution2d: conv2d
    convtranspose deconv deconv2d deconvolution conv2dtranspose: conv_transpose2d
    conv1dtranspose deconv1d: conv_transpose1d
    maxpool maxpooling maxpooling2d pool pooling: max_pool2d
    maxpooling1d: max_pool1d
    avgpool averagepool averagepooling averagepooling2d: avg_pool2d
    averagepooling1d: avg_pool1d
    gap globalaveragepooling globalaveragepooling2d globalavgpool2d: global_avg_pool
    globalmaxpooling globalmaxpooling2d globalmaxpool2d: global_max_pool
    adaptiveavgpool adaptiveaveragepool2d: adaptive_avg_pool2d
    bn batchnormalization batchnorm1d batchnorm3d: batch_norm
    ln layernormalization: layer_norm
    gn groupnormalization: group_norm
    instancenormalization instancenorm2d: instance_norm
    lrn: local_response_norm
    cat concatenate join: concat
    multiply: mul
    subtract: sub
    divide: div
    swish: silu
    logistic: sigmoid
    attention mha multiheadattention multiheadselfattention: self_attention
    crossmultiheadattention: cross_attention
    positionalembedding positionalencoding learnedpositionembedding: position_embedding
    timestepembedding sinusoidalencoding timeembedding: sinusoidal_embedding
    view: reshape
    upsampling upsampling2d interpolate resize: upsample
    stochasticdepth: drop_path
    onehotencoding: one_hot
    layerscale gamma: scale
    clip hardtanh: clamp
    zeropad zeropad2d zeropadding2d reflectionpad2d: pad
    skip noop passthrough: identity
    normalize: l2_normalize
    projectiondiscriminator labelprojection: class_projection
    cbn ccbn conditionalbatchnorm2d conditionalbatchnormalization: conditional_batch_norm
    categoricalconditionalbatchnorm: conditional_batch_norm
    minibatchstd minibatchstddev minibatchstandarddeviation mbstd: minibatch_deviation
    vq vectorquantizer vectorquantizerema vectorquantization quantizer: vector_quantize
    astype totype: cast
"""

ARGUMENTS = """
    outchannels filters numfilters nfilters outplanes features: channels
    outfeatures outputdim outputsize nout neurons channels: features
    units hiddensize hiddendim: features, hidden
    hiddenunits statesize: hidden
    numlayers nlayers depth: layers
    recurrentdropout: dropout
    recurrentinitializer: recurrent_init
    unitforgetbias: forget_bias
    kernelsize ksize filtersize poolsize windowsize kernelshape: kernel
    strides subsample: stride
    pads padsize: padding
    dilations dilationrate: dilation
    outpadding: output_padding
    numgroups ngroups group: groups
    usebias biasterm: bias
    p prob probability dropoutrate dropprob droprate dropoutprob ratio: rate, dropout
    attentiondropout attndropout dropoutp: dropout
    numheads nheads nhead numattentionheads: heads
    iscausal causalmask: causal
    negativeslope leakiness: slope
    epsilon layernormeps batchnormeps: eps
    numembeddings: size, classes, codes
    vocabsize vocabularysize inputdim nclasses: size, classes
    nembed nembeddings codebooksize numcodes ncodes: codes
    commitmentcost commitmentweight commitmentlossweight: commitment
    emadecay: decay
    thresholdemadeadcode deadcodethreshold restartthreshold: restart
    embeddingdim embeddim embeddingsize dmodel: dim
    paddingidx padid padtoken: pad_id
    numclasses classcount: below, classes
    maxlen maxlength numpositions sequencelength: length
    startdim: start
    enddim: end
    axis: axes
    dims dim: axes, axis
    keepdims: keepdim
    scalefactor: scale
    upscalefactor: factor
    outputshape targetshape newshape: to
    interpolation: mode
    initializer kernelinitializer weightinit weightinitializer initialization: init
    elementwiseaffine learnable: affine
    minval minvalue low: min
    maxval maxvalue high: max
    splitsizes sections chunks: into
    fillvalue constantvalue: value
"""

TRAINING = """
    batchsize minibatch minibatchsize trainbatchsize perdevicetrainbatchsize: batch
    gradientaccumulation gradientaccumulationsteps accumulategradbatches gradaccum: accumulate
    numepochs nepochs maxepochs totalepochs numtrainepochs: epochs
    maxsteps numsteps totalsteps nsteps iterations numiterations maxiterations maxiters iters: steps
    learningrate baselr initiallr: lr, lr_factor
    lr lrmultiplier lrmult lrscale: lr_factor
    solver opt: optimizer
    scheduler lrscheduler lrschedule learningrateschedule: schedule
    randomseed rngseed randomstate: seed
    paramgroups parametergroups freezelayers frozen frozenlayers trainable: parameters, freeze
    pretrained pretrainedweights resumefrom loadfrom initweights: init_from
    gradientclipping gradclip clip maxgradnorm gradientclipval clipgradnorm clipgrad: clip_norm
    clipgradvalue gradclipvalue: clip_value
    exponentialmovingaverage modelema weightaveraging emadecay: ema
    mixedprecision amp dtype fp16 bf16 autocast: precision
    accelerator gpu gpus cuda: device
    earlystop: early_stopping
    val eval evaluation evaluationinterval evalsteps valcheckinterval: validation
    checkpoints checkpointing savesteps modelcheckpoint: checkpoint
    onnan nanpolicy: on_divergence
    execution performance: plan
    numworkers dataloaderworkers nworkers: workers
    channelslast dataformat: memory_format
    torchcompile jit: compile
    cudagraphs cudagraph usecudagraphs: graphs
    pattern patterns layer layers name names: match
    type types: kind
    wd decay l2 l2reg l2penalty weightdecayrate: weight_decay
    beta1 beta2 beta: betas
    rho smoothingconstant: alpha
    usenesterov: nesterov
    numwarmupsteps warmupsteps lrwarmup: warmup
    warmupratio pctstart warmuppercent: warmup_fraction
    minlr lrmin etamin finallr endlr: final
    stepsize period interval dropevery saveevery frequency: every
    decayrate decayfactor factor: gamma, lr_factor
    initialvalue startvalue: start
    finalvalue endvalue: end
    nsteps duration: steps
    monitor metric: figure, best
    savebest savebestonly: best
    nepochswithoutimprovement wait: patience
    mindelta threshold tolerance: min_delta
    retries maxretries maxrewinds: most
    policy: action
    file weights: path
    skip exclude reset: reinitialise
"""

CHOICES = """
    adamwithweightdecay decoupledadam: adamw
    momentum sgdmomentum sgdwithmomentum: sgd
    cosineannealing cosineannealinglr cosinedecay cosinewithwarmup: cosine
    steplr multistep multisteplr stepdecay exponential: step
    onecyclelr onecyclepolicy: one_cycle
    none fixed constantlr constantwithwarmup: constant
    crossentropyloss ce softmaxcrossentropy categoricalcrossentropy nll nllloss: cross_entropy
    sparsecategoricalcrossentropy: cross_entropy
    bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropy: bce_logits
    mseloss meansquarederror l2loss squarederror: mse
    mae maeloss l1loss absoluteerror: l1
    meanabsoluteerror: l1, mae
    smoothl1 smoothl1loss huberloss: huber
    acc categoricalaccuracy sparsecategoricalaccuracy binaryaccuracy: accuracy
    top5 top5accuracy topkaccuracy topkcategoricalaccuracy: top_k
    fscore fmeasure: f1
    rootmeansquarederror: rmse
    iou miou jaccard jaccardindex: mean_iou
    horizontalflip verticalflip randomhorizontalflip randomflip hflip: flip
    randomcrop translate randomtranslation: shift
    gaussiannoise jitter: noise
    supervisedlearning classification classifier regression segmentation: supervised
    mnist ubyte: idx
    folder imagefolder directory imagedirectory: image_folder
    tsv table: csv
    pq arrow: parquet
    numpy: npy
    sklearn loaddigits: digits
"""

DATA = """
    directory dir root folder filename filepath datapath: path
    testfile testdata: test_path
    imagesize imgsize resize inputsize: size
    color colour colormode channels: mode
    resizemode: fit
    sep separator: delimiter
    usecols columnnames features: columns
    fillna nan navalues onmissing: missing
    keys names: arrays
    trainfiles images: train, files
    testfiles: test, test_files
    oncorrupt onerror: unreadable
    transform transforms augmentation augmentations: augment
    minmax limits valuerange: range
    rescale: scale
    mean std standardize standardise normalise: normalize
    classnames labelnames categories: classes
    size dims inputshape: shape
    type datatype: dtype
    length seqlen sequencelengths mask: lengths
    val valid valsplit validationsplit valfraction validationfraction: validation
    seqlen sequencelength blocksize contextlength contextsize lookback bptt: window
    predictionlength forecastlength forecasthorizon outputlength stepsahead: horizon
    timestamp datecolumn timecolumn timeidx ds: time
    groupby groupids seriesid itemid uniqueid: group
    seasonality seasonlength period: season
    tokenizer level granularity: unit
    testsize testsplit testfraction: test
    labels label y ytrue truth: target
    logits pred prediction predictions ypred: output
    labelsmoothing: smoothing
    ignoreindex ignorelabel: ignore
    weight classweight: class_weights
    positiveweight: pos_weight
    beta: delta
    opsetversion targetopset: opset
    atol rtol tol: tolerance
    quantization dtype: precision
    numparams parametercount: parameters
    maccs macs gflops: flops
"""


def _merged(*tables: str) -> dict[str, tuple[str, ...]]:
    """Tables as one: a word of several has the meanings of all."""
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        for word, meanings in _entries(table).items():
            found[word] = tuple(dict.fromkeys((*found.get(word, ()), *meanings)))
    return found


MEANINGS: Mapping[str, tuple[str, ...]] = _merged(
    SECTIONS, LAYERS, OPERATORS, ARGUMENTS, TRAINING, CHOICES, DATA
)
"""Word -> what it may stand for."""
