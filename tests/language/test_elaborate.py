"""What layers expand to: paths, types, weights and scopes, from small specs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.driver import check_source
from netwright.compiler.ir.graph import Scope
from netwright.compiler.language.params import Choices
from netwright.compiler.render import render
from netwright.compiler.source import SourceFile

from .small import check, codes, graph, network, paths

# Names


def test_default_ids_count_per_operation_and_over_left_out_layers() -> None:
    layers = """
        - relu
        - {tanh: , when: false}
        - relu
        - tanh
    """
    assert paths(graph(network(layers))) == ["relu_0", "relu_1", "tanh_1"]


def test_members_of_a_group_are_named_by_position_among_the_kept() -> None:
    layers = """
        - id: features
          layers:
            - relu
            - {tanh: , when: false}
            - {id: act, relu: }
            - relu
    """
    assert paths(graph(network(layers))) == ["features.0", "features.act", "features.2"]


def test_anonymous_groups_and_repeats_in_a_group_are_spliced() -> None:
    layers = """
        - id: features
          layers:
            - relu
            - layers: [relu, tanh]
            - {relu: , repeat: 2}
            - {repeat: 2, layers: [relu, tanh]}
    """
    assert paths(graph(network(layers))) == [f"features.{n}" for n in range(9)]


def test_repeat_numbers_its_copies_even_if_there_is_one() -> None:
    assert paths(graph(network("- {id: act, relu: , repeat: 1}"))) == ["act.0"]
    assert paths(graph(network("- {relu: , repeat: 2}"))) == ["relu_0.0", "relu_0.1"]


def test_repeat_of_none_passes_through() -> None:
    found = graph(network("- {id: act, relu: , repeat: 0}\n- tanh"))
    assert paths(found) == ["tanh_0"]
    assert [value.name for value in found.nodes[0].reads()] == ["image"]


def test_paths_go_through_blocks_groups_and_repeats() -> None:
    text = textwrap.dedent("""
        blocks:
          Unit:
            params: {channels: int}
            layers: [{id: conv1, conv2d: {channels: $channels, kernel: 3, bias: false}}, relu]
    """) + network("- {id: layer1, Unit: {channels: 4}, repeat: 2}")
    assert list(graph(text).tensors()) == ["layer1.0.conv1.weight", "layer1.1.conv1.weight"]


# From


def test_from_names_ports_lists_and_copies() -> None:
    layers = """
        - {id: halves, split: {axis: 1, into: {left: 1, right: 2}}}
        - {id: a, from: halves.left, relu: }
        - {id: b, from: halves.right, tanh: }
        - {id: tower, relu: , repeat: 2}
        - {from: [a, tower.0, {of: tower, at: $(2 - 1)}], concat: {axis: 1}}
    """
    found = graph(network(layers))
    assert str(found.outputs["y"].type) == "f32[B, 5, 8, 8]"
    assert [value.name for value in found.nodes[-1].reads()] == ["a", "tower.0", "tower.1"]


def test_prev_is_the_previous_layer_in_a_list() -> None:
    found = graph(network("- {id: a, relu: }\n- tanh\n- {from: [prev, a], add: {}}"))
    assert [value.name for value in found.nodes[-1].reads()] == ["tanh_0", "a"]


def test_groups_see_outside_names_and_show_only_their_last_result() -> None:
    layers = """
        - {id: stem, relu: }
        - {id: branch, layers: [{id: inner, tanh: }, {from: [inner, stem], add: {}}]}
    """
    assert codes(network(layers)) == []
    assert codes(network(layers + "    - {from: inner, relu: }")) == ["G301"]


# When


def test_a_left_out_layer_passes_its_input_through_under_its_id() -> None:
    layers = """
        - {id: stem, relu: }
        - tanh
        - {id: skip, from: stem, conv2d: {channels: 9, kernel: 1}, when: false}
        - {from: skip, sigmoid: }
    """
    found = graph(network(layers, outputs="{y: prev, mid: stem}"))
    assert [value.name for value in found.nodes[-1].reads()] == ["stem"]


def test_else_says_what_stands_for_a_layer_with_several_inputs() -> None:
    layers = """
        - {id: a, relu: }
        - {id: b, tanh: }
        - {id: sum, from: [a, b], add: {}, when: false, else: a}
        - {from: sum, sigmoid: }
    """
    assert [v.name for v in graph(network(layers)).nodes[-1].reads()] == ["a"]
    assert codes(network(layers.replace(", else: a", ""))) == ["S102"]


def test_else_none_drops_a_layer_and_its_name() -> None:
    layers = "- relu\n- {id: extra, tanh: , when: false, else: none}\n- sigmoid"
    assert paths(graph(network(layers))) == ["relu_0", "sigmoid_0"]
    assert codes(network(layers + "\n- {from: extra, relu: }")) == ["G301"]


def test_arguments_of_a_left_out_layer_are_checked_for_keys_only() -> None:
    assert codes(network("- relu\n- {linear: $(1 // 0), when: false}")) == []
    assert "S101" in codes(network("- relu\n- {linear: {featurs: 3}, when: false}"))


# Repeat over lists


def test_repeat_over_lists_binds_a_value_per_copy() -> None:
    layers = """
        - id: down
          conv2d: {channels: $(4 * m), kernel: 3, stride: $(2 if index == count - 1 else 1)}
          repeat: {over: {m: [1, 2, 3]}}
    """
    types = [str(node.outputs[0].type) for node in graph(network(layers)).nodes]
    assert types == ["f32[B, 4, 8, 8]", "f32[B, 8, 8, 8]", "f32[B, 12, 4, 4]"]


def test_repeat_reversed() -> None:
    layers = """
        - {conv2d: {channels: $m, kernel: 1}, repeat: {over: {m: [1, 2, 3]}, reverse: true}}
    """
    channels = [node.op.arguments()["channels"] for node in graph(network(layers)).nodes]
    assert channels == [3, 2, 1]


# Share and tie


def test_share_uses_the_weights_again_and_counts_them_once() -> None:
    layers = """
        - {id: a, linear: 8}
        - {id: b, share: a}
    """
    found = graph(network(layers, shape="[B, 8]"))
    assert found.parameter_count() == 72
    assert found.nodes[1].shares == "a"
    assert found.nodes[1].weights["weight"].name == "a.weight"


def test_share_of_a_block_and_of_a_repeat() -> None:
    text = textwrap.dedent("""
        blocks:
          Unit: {params: {n: int}, layers: [{id: fc, linear: $n}, relu]}
    """) + network(
        """
            - {id: a, Unit: {n: 8}, repeat: 2}
            - {id: b, share: a}
            - {id: c, Unit: {n: 8}}
            - {id: d, share: c}
            """,
        shape="[B, 8]",
    )
    found = graph(text)
    assert found.parameter_count() == 3 * 72
    shared = [node.weights["weight"].name for node in found.nodes if node.shares and node.weights]
    assert shared == ["a.0.fc.weight", "a.1.fc.weight", "c.fc.weight"]


def test_share_needs_inputs_that_fit() -> None:
    layers = "- {id: a, linear: 8}\n- {id: b, linear: 5}\n- {id: c, share: a}"
    assert codes(network(layers, shape="[B, 8]")) == ["D402"]


def test_tie_to_another_layer_transposed_and_across_networks() -> None:
    text = """
        networks:
          first:
            inputs: {x: {shape: [B, 8]}}
            layers: [{id: fc, linear: 4}]
            outputs: y
          net:
            inputs: {x: {shape: [B, 4]}}
            layers:
              - id: a
                linear: {features: 8, bias: false}
                tie: {weight: {of: first.fc.weight, transpose: true}}
              - {id: b, linear: 8}
              - {id: c, linear: 8, tie: {weight: b.weight, bias: b.bias}}
            outputs: y
    """
    found = graph(text)
    assert list(found.tensors()) == ["b.weight", "b.bias"]
    tied = found.nodes[0].weights["weight"]
    assert (tied.network, tied.name, tied.transpose) == ("first", "fc.weight", True)
    assert codes(text.replace(", transpose: true", "")) == ["D402"]
    assert codes(text.replace("bias: b.bias", "gain: b.bias")) == ["G301"]


# Blocks, dims, params


def test_blocks_bind_the_dims_of_their_inputs() -> None:
    text = textwrap.dedent("""
        blocks:
          Half:
            inputs: {x: {shape: [B, C, H, W]}, y: {shape: [B, C, H, W]}}
            layers:
              - {from: [x, y], add: {}}
              - conv2d: {channels: $(C // 2), kernel: 3, bias: $(H > 4)}
            outputs: {out: prev, sum: x}
    """) + network(
        """
            - {id: a, conv2d: {channels: 6, kernel: 1}}
            - {id: halved, Half: , from: {y: a}}
            - {from: halved.out, relu: }
            """
    )
    found = graph(text)
    assert str(found.outputs["y"].type) == "f32[B, 3, 8, 8]"
    scope = next(i for i in found.root.items if isinstance(i, Scope))
    assert (scope.block, list(scope.inputs), list(scope.outputs)) == (
        "Half",
        ["x", "y"],
        ["out", "sum"],
    )


def test_choice_parameters_compare_with_their_words() -> None:
    text = textwrap.dedent("""
        blocks:
          Act:
            params: {kind: [relu, tanh]}
            layers:
              - {relu: , when: $(kind == relu), else: prev}
              - {tanh: , when: $(kind == tanh), else: prev}
    """) + network("- Act: {kind: tanh}")
    assert paths(graph(text)) == ["Act_0.tanh_0"]


def test_set_and_variants_choose_parameters() -> None:
    text = textwrap.dedent("""
        params: {width: 4, scale: 1.0}
        variants: {wide: {width: 16}}
    """) + network("- conv2d: {channels: $width, kernel: 1}\n- mul: $scale")
    wide = graph(text, Choices("wide"))
    assert str(wide.outputs["y"].type) == "f32[B, 16, 8, 8]"
    own = graph(text, Choices("wide", {"width": "5", "scale": "2"}))
    assert str(own.outputs["y"].type) == "f32[B, 5, 8, 8]"
    assert codes(text, Choices("narrow")) == ["E201"]
    assert codes(text, Choices(None, {"widht": "5"})) == ["E201"]
    assert codes(text, Choices(None, {"width": "5.5"})) == ["E202"]
    assert codes(text, Choices(None, {"width": "yes"})) == ["E202"]


def test_the_resolved_spec_carries_the_chosen_values() -> None:
    text = "params: {width: 4}  # how wide\n" + network("- conv2d: {channels: $width, kernel: 1}")
    found = check(text, Choices(None, {"width": "6"}))
    assert "params: {width: 6}  # how wide" in found.resolved
    again = check_source(SourceFile("again.yaml", found.resolved), Path())
    assert again.spec.params == {"width": 6}
    assert again.spec_hash == found.spec_hash


def test_symbolic_sizes_stay_symbolic() -> None:
    text = "dims: {H: {min: 8, multiple_of: 4}}\n" + network(
        "- conv2d: {channels: 4, kernel: 3, stride: 2}\n- max_pool2d: 2",
        shape="[B, 3, H, H]",
    )
    assert str(graph(text).outputs["y"].type) == "f32[B, 4, H // 4, H // 4]"


def test_undecided_condition_names_the_size() -> None:
    text = (
        "dims: {H: {min: 8}}\n"
        + textwrap.dedent(
            """
        blocks:
          Maybe:
            inputs: {x: {shape: [B, C, H, W]}}
            layers: [relu, {tanh: , when: $(H > 16)}]
        """
        )
        + network("- Maybe", shape="[B, 3, H, H]")
    )
    found = check(text).diagnostics
    assert [d.code for d in found] == [Code.E202]
    assert "H" in (found[0].help or "")


# Imports


def test_imports_stay_in_the_tree_and_may_be_nested(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "inner.yaml").write_text(
        "spec: v1\nname: inner\nblocks: {Act: {layers: [relu]}}\n"
    )
    (tmp_path / "blocks" / "outer.yaml").write_text(
        "spec: v1\nname: outer\nimports: {inner: inner.yaml}\n"
        "blocks: {Two: {layers: [inner.Act, inner.Act]}}\n"
    )
    text = "imports: {lib: blocks/outer.yaml}\n" + network("- lib.Two")
    found = check(text, folder=tmp_path)
    assert not found.diagnostics, render(found.diagnostics, "text")
    assert paths(found.graphs["net"]) == ["Two_0.Act_0.relu_0", "Two_0.Act_1.relu_0"]
    assert set(found.libraries) == {"blocks/outer.yaml", "blocks/inner.yaml"}


@pytest.mark.parametrize("target", ["../secret.yaml", "/etc/passwd", "blocks/../../x.yaml"])
def test_imports_cannot_leave_the_tree(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("spec: v1\nname: secret\n")
    found = check(f"imports: {{lib: {target}}}\n" + network("- relu"), folder=folder)
    assert [d.code for d in found.diagnostics] == [Code.S105]


def test_a_symbolic_link_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("spec: v1\nname: secret\nblocks: {A: {layers: [relu]}}\n")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    found = check("imports: {lib: link.yaml}\n" + network("- lib.A"), folder=folder)
    assert Code.S105 in [d.code for d in found.diagnostics]


# Mistakes do not cascade


def test_a_failed_layer_silences_what_follows_from_it() -> None:
    layers = """
        - {id: a, conv2d: {channels: 4, kernel: 99, padding: 0}}
        - {id: b, conv2d: {channels: 0, kernel: 3}}
        - linear: 3
        - {from: [a, b], add: {}}
        - {from: nowhere, relu: }
    """
    assert codes(network(layers)) == ["D403", "S102", "G301"]


def test_independent_mistakes_are_all_reported() -> None:
    text = textwrap.dedent("""
        name2: x
        params: {unused: 3}
    """) + network("- relu6\n- {from: nowhere, relu: }\n- {id: prev, relu: }\n- nosuch")
    assert set(codes(text)) == {"S101", "G301", "G304", "S103", "G303"}


def test_a_relative_import_travels_with_the_spec_and_a_packaged_one_does_not(
    tmp_path: Path,
) -> None:
    own = tmp_path / "lib.yaml"
    own.write_text(
        "spec: v1\nname: lib\nimports: {resnet: 'netwright:blocks/resnet.yaml'}\n"
        "blocks: {A: {params: {n: int}, layers: [{resnet.BasicBlock: {channels: $n}}]}}\n"
    )
    found = check("imports: {lib: lib.yaml}\n" + network("- lib.A: {n: 3}"), folder=tmp_path)
    assert not found.diagnostics, render(found.diagnostics, "text")
    assert list(found.libraries) == ["lib.yaml"]


def test_each_copy_of_a_repeat_wires_its_own_inputs() -> None:
    text = textwrap.dedent("""
        blocks:
          Up:
            inputs: {x: {shape: [B, C, H, W]}, skip: {shape: [B, D, $(2 * H), $(2 * W)]}}
            layers:
              - {from: x, upsample: {scale: 2}}
              - {from: [prev, skip], concat: {axis: 1}}
    """) + network(
        """
        - {id: down, repeat: 2, layers: [{conv2d: {channels: 4, kernel: 3, stride: 2}}]}
        - {id: stem, from: image, conv2d: {channels: 4, kernel: 1}}
        - {id: skips, from: stem, repeat: 2, layers: [{max_pool2d: 2}]}
        - id: up
          from: {x: down, skip: {of: skips, at: $(0 if index == 0 else index - 1)}}
          Up: {}
          when: $(1 == 2)
          else: down
        - {from: down.1, relu: }
        - {id: both, Up: {}, from: {skip: {of: down, at: $(count - 1 - index)}}, repeat: 1}
        """
    )
    found = graph(text)
    assert [v.name for v in found.nodes[-1].reads()] == ["both.0.upsample_0", "down.0.0"]
    assert str(found.outputs["y"].type) == "f32[B, 8, 4, 4]"


def test_a_failed_import_is_one_mistake(tmp_path: Path) -> None:
    text = "imports: {lib: nowhere.yaml}\n" + network("- lib.A\n- lib.B: {n: 3}\n- relu")
    assert [d.code.name for d in check(text, folder=tmp_path).diagnostics] == ["S105"]


def test_a_mistake_in_dims_is_one_mistake() -> None:
    text = "dims: {H: {mn: 32}}\n" + network("- relu", shape="[B, 3, H, H]")
    assert codes(text) == ["S101"]


# What a review of the language found


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        ("- {relu: , else: image}", "S101"),
        ("- {add: , from: [image, image], when: false, else: {}}", "S102"),
        (
            "- {id: a, conv2d: {channels: 3, kernel: 3}}\n- {share: a, tie: {weight: a.weight}}",
            "S101",
        ),
        ("- {layers: [relu], tie: {weight: a.weight}}", "S101"),
    ],
)
def test_a_modifier_that_would_mean_nothing_is_refused(layers: str, code: str) -> None:
    assert codes(network(layers)) == [code]


def test_an_import_with_an_upper_case_name_is_one_mistake() -> None:
    text = "imports: {Zoo: netwright:blocks/resnet.yaml}\n"
    assert codes(text + network("- Zoo.BasicBlock: {channels: 3}")) == ["S102"]


def nested_blocks(count: int) -> str:
    chain = "".join(f"  A{i}: {{layers: [A{i - 1}]}}\n" for i in range(1, count))
    return f"blocks:\n  A0: {{layers: [linear: 3]}}\n{chain}" + network(f"- A{count - 1}", "[B, 3]")


def test_nesting_of_blocks_is_limited() -> None:
    assert codes(nested_blocks(600)) == ["Y004"]
    deep = check(nested_blocks(40))
    assert not deep.diagnostics
    compile(deep.source, "deep", "exec")


@pytest.mark.parametrize(
    "blocks",
    [
        "{layers: 5}",
        "{layers: [relu], parms: {a: int}}",
        "{params: {c: {type: int, default: abc}}, layers: [{linear: $c}]}",
        "{params: {c: {type: int, choices: [a]}}, layers: [{linear: $c}]}",
        "{params: {c: {type: choice}}, layers: [{relu: , when: $(c == c)}]}",
    ],
)
def test_a_block_with_a_mistake_is_one_mistake(blocks: str) -> None:
    text = f"blocks:\n  R: {blocks}\n  S: {{layers: [R]}}\n" + network("- R\n- S")
    assert len(codes(text)) == 1


def test_a_misspelt_block_does_not_leave_the_block_unused() -> None:
    assert codes("blocks:\n  Residual: {layers: [relu]}\n" + network("- Residul")) == ["S103"]


@pytest.mark.parametrize("name", ["prev", "none"])
def test_reserved_words_cannot_be_inputs(name: str) -> None:
    body = f"{{inputs: {{{name}: {{shape: [B, 3]}}}}, layers: [relu], outputs: y}}"
    assert codes(f"networks:\n  net: {body}\n") == ["G304"]


WORDS = 'params: {a: "10", s: "x: y", l: ["1", b]}\n' + network(
    "- {relu: , when: $(a != s)}\n- {relu: , repeat: {over: {k: $l}}}"
)


@pytest.mark.parametrize("chosen", [{}, {"a": '"7"'}, {"s": "q #r"}, {"l": '["2", c]'}])
def test_the_resolved_spec_reads_as_the_same_words(chosen: dict[str, str]) -> None:
    found = check(WORDS, Choices(None, chosen))
    again = check_source(SourceFile("again.yaml", found.resolved), Path())
    assert again.spec.params == found.spec.params
    assert '"' not in "".join(found.spec.params["l"])


@pytest.mark.parametrize("value", ["[1]", "[1, [2]]", "a"])
def test_the_items_of_a_list_are_type_checked(value: str) -> None:
    assert codes(WORDS, Choices(None, {"l": value})) == ["E202"]


def test_a_misspelt_key_beside_a_loss_is_an_unknown_key() -> None:
    text = "data: {source: digits}\n" + network("- flatten\n- linear: 10", "[B, 1, 8, 8]")
    losses = "[{cross_entropy: {output: y, target: label}, wieght: 0.5}]"
    objective = f"objective:\n  supervised: {{network: net, losses: {losses}}}\n"
    assert codes(text + objective) == ["S101"]


def test_a_mistake_in_copies_is_told_once() -> None:
    layers = """
        - {id: down, conv2d: {channels: 4, kernel: 3}, repeat: 2}
        - {id: up, relu: , from: {of: down, at: $(count - index)}, repeat: 2147483648}
        - linear: 3
    """
    assert codes(network(layers)) == ["G301"]


def test_two_layers_of_one_name_do_not_send_the_trail_in_circles() -> None:
    layers = """
        - {id: pool, max_pool2d: 2}
        - {id: pool, max_pool2d: 2}
        - {id: pool, max_pool2d: 2}
        - {id: pool, max_pool2d: 2}
    """
    assert set(codes(network(layers))) == {"G304", "D403"}
