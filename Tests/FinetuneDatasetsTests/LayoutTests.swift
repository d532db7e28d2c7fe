// Where images lie: splits in every spelling, levels too high or too low, and files that are no pictures.

import FinetuneFiles
import Glibc
import TestSupport
import Testing

@testable import FinetuneDatasets

/// A folder of files for one test, which are pictures to the listing if they are called so.
final class FileSet {
    let path: String

    init(_ files: [String], texts: [String: String] = [:]) throws {
        path = try Fixtures.temporaryFolder()
        for name in files { try write(Array(name.utf8), name) }
        for (name, text) in texts { try write(Array(text.utf8), name) }
    }

    deinit { Fixtures.remove(path) }

    /// Without waiting for the disk, as there are many.
    func write(_ bytes: [UInt8], _ name: String) throws {
        let file = Path.join(path, name)
        try FileSystem.makeDirectory(Path.parent(of: file))
        let output = try #require(fopen(file, "w"))
        defer { fclose(output) }
        #expect(fwrite(bytes, 1, bytes.count, output) == bytes.count)
    }

    /// Folders with two images of cats and two of dogs each.
    convenience init(splits: [String], more: [String] = []) throws {
        try self.init(
            splits.flatMap { split in
                ["cat", "dog"].flatMap { ["\(split)/\($0)/1.jpg", "\(split)/\($0)/2.jpg"] }
            } + more)
    }

    func dataset(_ name: String = "") throws -> ImageDataset { try ImageDataset(Path.join(path, name)) }

    /// What is said of the folder when it is refused.
    func refusal(_ name: String = "") -> String {
        do {
            _ = try ImageDataset(Path.join(path, name))
            return "nothing"
        } catch { return "\(error)" }
    }
}

@Suite("The folders of a data set") struct LayoutTests {
    @Test(
        "are splits in every usual spelling",
        arguments: [
            ("Train", "Test", Split.Part.test), ("training", "testing", .test), ("training_set", "test_set", .test),
            ("TRAIN", "VAL", .validation), ("train", "dev", .validation), ("train", "valid", .validation),
            ("train", "validation_set", .validation), ("train", "eval", .validation), ("trainset", "testset", .test),
            ("train_data", "valid_data", .validation), ("train_images", "val_images", .validation),
            ("Train Set", "Test Set", .test), ("training-data", "validation-data", .validation),
            ("images_train", "images_val", .validation), ("seg_train", "seg_test", .test),
            ("train2017", "val2017", .validation), ("Training", "PublicTest", .test), ("TrainingSet", "TestSet", .test),
            ("trn", "tst", .test), ("train_val", "test", .test), ("stage1_train", "stage1_test", .test),
        ])
    func spellings(_ train: String, _ other: String, _ part: Split.Part) throws {
        let dataset = try FileSet(splits: [train, other]).dataset()
        #expect(dataset.classes == ["cat", "dog"])
        #expect(dataset.items.filter { $0.part == .train }.map(\.name).allSatisfy { $0.hasPrefix(train + "/") })
        #expect(dataset.items.count { $0.part == .train } == 4 && dataset.items.count { $0.part == part } == 4)
    }

    @Test("may repeat themselves a level lower, beside images without labels")
    func repeated() throws {
        let files = try FileSet(
            splits: ["seg_train/seg_train", "seg_test/seg_test"], more: ["seg_pred/seg_pred/9.jpg"])
        let dataset = try files.dataset()
        #expect(dataset.classes == ["cat", "dog"] && dataset.items.count == 8)
        #expect(dataset.items.first?.name == "seg_train/seg_train/cat/1.jpg")
        let leftOut = try #require(dataset.remarks.first { $0.kind == .unlabelledFolder })
        #expect(leftOut.paths == ["seg_pred"] && leftOut.detail.contains("1 image without class folders"))
    }

    @Test("of which one holds images without classes leave that out by name, as do folders that are no splits")
    func leftOut() throws {
        let kaggle = try FileSet(splits: ["train"], more: ["test/1.jpg", "test/2.jpg"]).dataset()
        #expect(kaggle.classes == ["cat", "dog"] && kaggle.items.count == 4)
        #expect(kaggle.remarks.contains { $0.kind == .unlabelledFolder && $0.paths == ["test"] })
        let more = try FileSet(splits: ["train", "test", "extra"]).dataset()
        #expect(more.items.count == 8)
        #expect(more.remarks.contains { $0.kind == .leftOutFolder && $0.paths == ["extra"] })
    }

    @Test(
        "called train are a class beside other classes",
        arguments: [["train/1.jpg"], ["train/old/1.jpg", "train/new/2.jpg"]])
    func vehicles(_ train: [String]) throws {
        let dataset = try FileSet(["bus/1.jpg", "car/1.jpg"] + train).dataset()
        #expect(dataset.classes == ["bus", "car", "train"])
        #expect(dataset.items.allSatisfy { $0.part == nil } && dataset.items.count == 2 + train.count)
    }

    @Test("that are splits without classes have no labels, and the way on is said")
    func unlabelledSplits() throws {
        let dataset = try FileSet(["train/1.jpg", "test/2.jpg"], texts: ["train.csv": "id,label\n1,a\n"]).dataset()
        #expect(dataset.classes.isEmpty && dataset.items.map(\.part) == [.test, .train])
        #expect(dataset.noClasses?.contains("hold images without class folders") == true)
        #expect(dataset.noClasses?.contains("train.csv") == true)
    }

    @Test("of classes may have splits below each class")
    func splitsBelow() throws {
        let dataset = try FileSet(["a/train/1.jpg", "a/test/2.jpg", "b/train/3.jpg", "b/test/4.jpg"]).dataset()
        #expect(dataset.classes == ["a", "b"])
        #expect(dataset.items.map(\.part) == [.test, .train, .test, .train])
        #expect(dataset.items.map(\.label) == [0, 0, 1, 1])
    }

    @Test(
        "of classes may spell their splits differently, and lack some",
        arguments: [
            ["a/train/1.jpg", "a/val/2.jpg", "b/Train/3.jpg", "b/Val/4.jpg"],
            ["a/train/1.jpg", "a/val/2.jpg", "b/train/3.jpg", "b/train/4.jpg"],
        ])
    func unevenSplitsBelow(_ files: [String]) throws {
        let dataset = try FileSet(files).dataset()
        #expect(dataset.classes == ["a", "b"] && dataset.items.allSatisfy { $0.part != nil })
        #expect(dataset.items.count { $0.part == .validation } == files.count { $0.lowercased().contains("/val/") })
    }

    @Test(
        "of which only some hold splits are refused: test images would be learned from",
        arguments: [
            ["a/train/1.jpg", "a/test/2.jpg", "b/3.jpg"],
            ["a/train/1.jpg", "a/test/2.jpg", "b/train/3.jpg", "b/test/4.jpg", "b/other/5.jpg"],
        ])
    func partlySplits(_ names: [String]) throws {
        let text = try FileSet(names).refusal()
        #expect(text.contains("'a' holds the splits 'test' and 'train', but 'b' holds"), "\(text)")
    }

    @Test("with splits and classes of their own are data sets, not classes")
    func setsInside() throws {
        let folds = try FileSet(splits: ["fold_1/train", "fold_1/val", "fold_2/train", "fold_2/val"])
        #expect(folds.refusal().contains("Did you mean --data \(folds.path)/fold_1?"), "\(folds.refusal())")
        let mixed = try FileSet(splits: ["flowers/train", "flowers/test"], more: ["cars/1.jpg", "cars/2.jpg"])
        #expect(mixed.refusal().contains("'flowers' has the splits 'train' and 'test'"), "\(mixed.refusal())")
    }

    @Test("that mostly have the same folders are refused, too")
    func mostlyAlike() throws {
        for names in [
            ["train/cat/1.jpg", "train/dog/1.jpg", "train/cow/1.jpg", "query/cat/1.jpg", "query/dog/1.jpg"],
            ["p1/sad/1.jpg", "p1/glad/1.jpg", "p1/calm/1.jpg", "p2/sad/1.jpg", "p2/glad/1.jpg", "p3/glad/1.jpg"],
        ] {
            #expect(try FileSet(names).refusal().contains("either may be the classes"), "\(names)")
        }
        let patients = try FileSet(splits: ["p1", "p2", "p3"])
        #expect(patients.refusal().contains("path,label,group"), "\(patients.refusal())")
        // Folders below classes that are hardly the same say nothing.
        let years = try FileSet(["cat/2019/1.jpg", "cat/2020/1.jpg", "dog/2019/1.jpg", "dog/2021/1.jpg"]).dataset()
        #expect(years.classes == ["cat", "dog"])
        let beside = try FileSet(splits: ["train"], more: ["cat/1.jpg", "dog/1.jpg"])
        #expect(beside.refusal().contains("'train' may be a class beside"), "\(beside.refusal())")
    }

    @Test("that all have the same folders are refused with both readings")
    func ambiguous() throws {
        let files = try FileSet(splits: ["siteA", "siteB"])
        let text = files.refusal()
        for word in [
            "'siteA' and 'siteB'", "'cat' and 'dog'", "--data \(files.path)/siteA --val \(files.path)/siteB",
            "path,label",
        ] {
            #expect(text.contains(word), "\(text)")
        }
        // What one calls holdout validates for some and tests for others.
        #expect(try FileSet(splits: ["train", "holdout"]).refusal().contains("either may be the classes"))
        #expect(
            try FileSet(["bus/1.jpg", "train/old/1.jpg", "train/new/2.jpg"]).refusal().contains(
                "may be a class beside 'bus'"))
    }

    @Test("a level too high or too low are named as they were probably meant")
    func levels() throws {
        let high = try FileSet(splits: ["images"])
        #expect(high.refusal().contains("Did you mean --data \(high.path)/images?"))
        let deep = try FileSet(splits: ["a/b/train", "a/b/val"])
        #expect(deep.refusal().contains("Did you mean --data \(deep.path)/a/b?"))
        let low = try FileSet(["cat/1.jpg", "dog/1.jpg"])
        let dataset = try ImageDataset(low.path + "/cat")
        #expect(dataset.classes.isEmpty && dataset.noClasses?.contains("beside 'dog'") == true)
        #expect(dataset.noClasses?.contains("Did you mean --data \(low.path)?") == true)
    }

    @Test("hold files of systems and notes that are passed over and counted, not images")
    func sidecars() throws {
        let files = try FileSet(
            [
                "cat/1.jpg", "dog/1.jpg", "__MACOSX/x.jpg", "@eaDir/x.jpg", "$RECYCLE.BIN/x.jpg", "lost+found/x.jpg",
                ".ipynb_checkpoints/x.jpg",
            ],
            texts: [
                "cat/desktop.ini": "[.ShellClassInfo]", "cat/1.xml": "<annotation/>", "cat/1.jpg.json": "{}",
                "dog/notes.txt": "BM or not", "dog/labels.csv": "a,b", "dog/README": "read me", "dog/.DS_Store": "x",
            ])
        try files.write(
            [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1] + [UInt8](repeating: 0, count: 500), "cat/Thumbs.db")
        let dataset = try files.dataset()
        #expect(dataset.classes == ["cat", "dog"] && dataset.items.map(\.name) == ["cat/1.jpg", "dog/1.jpg"])
        let passedOver = try #require(dataset.remarks.first { $0.kind == .notPicture })
        #expect(
            passedOver.paths.count == 7 && passedOver.detail.contains("1 .db")
                && passedOver.detail.contains("1 without ending"))
        #expect(dataset.remarks.count { $0.kind == .hidden } == 6)
    }

    @Test("of annotations alone are no classes, and are passed over by name")
    func annotations() throws {
        let voc = try FileSet(
            ["cat/1.jpg", "dog/1.jpg"], texts: ["annotations/1.xml": "<a/>", "annotations/2.xml": "<a/>"])
        let dataset = try voc.dataset()
        #expect(dataset.classes == ["cat", "dog"])
        #expect(dataset.remarks.map { $0.paths.count } == [2] && dataset.remarks[0].detail.contains("2 .xml"))
        let yolo = try FileSet(
            ["train/images/1.jpg", "valid/images/2.jpg"], texts: ["train/labels/1.txt": "0 0.5 0.5 1 1"])
        let boxes = try yolo.dataset()
        #expect(boxes.classes.isEmpty && boxes.items.map(\.part) == [.train, .validation])
    }

    @Test("hold pictures by content or by name, broken ones, too")
    func pictures() throws {
        let files = try FileSet(["a/broken.jpg", "b/photo.heic"], texts: ["a/empty.png": "", "b/page.jpg": "<html>"])
        let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0]
        try files.write(png, "a/noending")
        try files.write(png, "a/odd.jpg_large")
        try files.write([0, 1, 2, 3, 200], "b/2024")
        #expect(
            try files.dataset().items.map(\.name) == [
                "a/broken.jpg", "a/empty.png", "a/noending", "a/odd.jpg_large", "b/page.jpg", "b/photo.heic",
            ])
        // Icons of folders, programs and the like: no pictures, whatever they are called.
        for (name, bytes) in [("Icon\r", []), ("core", [0x7F, 0x45, 0x4C, 0x46, 2, 1]), ("LICENSE", [])]
            as [(String, [UInt8])]
        {
            try files.write(bytes, "a/\(name)")
        }
        #expect(try files.dataset().items.count == 6)
        #expect(try files.dataset().remarks.first { $0.kind == .notPicture }?.paths.count == 4)
        let texts = try FileSet([], texts: ["a/1.txt": "text", "b/2.txt": "text"])
        #expect(texts.refusal().contains("holds no images, but 2 .txt"))
    }

    @Test("may be called like pictures")
    func pictureNames() throws {
        let dataset = try FileSet(["St.Gif/1.jpg", "cat.jpg/2.jpg", "dog/3.jpg"]).dataset()
        #expect(dataset.classes == ["St.Gif", "cat.jpg", "dog"] && dataset.items.count == 3)
    }

    @Test("follow a link to a folder that is nowhere else")
    func links() throws {
        let (files, other) = (try FileSet(["a/1.jpg"]), try FileSet(["2.jpg"]))
        #expect(symlink(other.path, files.path + "/b") == 0)
        #expect(symlink("b", files.path + "/c") == 0)
        let dataset = try files.dataset()
        #expect(dataset.classes == ["a", "b"] && dataset.items.map(\.name) == ["a/1.jpg", "b/2.jpg"])
        #expect(dataset.remarks.map(\.paths) == [["c"]])
        for link in ["b", "c"] { FileSystem.remove(Path.join(files.path, link)) }
    }

    @Test("that hardly differ as classes are named, and of two Unicode forms a split may use either")
    func similar() throws {
        let dataset = try FileSet(["Cat/1.jpg", "cat/1.jpg", "dog/1.jpg", "dog /1.jpg", "1/1.jpg", "01/1.jpg"])
            .dataset()
        #expect(dataset.classes.count == 6 && dataset.remarks.count { $0.kind == .similarClasses } == 3)
        #expect(try FileSet(["caf\u{E9}/1.jpg", "cafe\u{301}/1.jpg"]).refusal().contains("two Unicode forms"))
        let split = try FileSet(["train/caf\u{E9}/1.jpg", "train/b/1.jpg", "val/cafe\u{301}/1.jpg", "val/b/1.jpg"])
            .dataset()
        #expect(split.classes == ["b", "caf\u{E9}"] && split.items.map(\.label) == [0, 1, 0, 1])
        #expect(split.remarks.contains { $0.kind == .reading && $0.paths == ["val/cafe\u{301}"] })
    }

    @Test("of a split with a class that training lacks are refused with the images")
    func unknownClass() throws {
        let dataset = try FileSet(splits: ["train", "val"], more: ["val/bird/7.jpg"]).dataset()
        let text = dataset.obstacle ?? ""
        #expect(text.contains("'bird'") && text.contains("1 image, such as 'val/bird/7.jpg'"), "\(text)")
        // Images of the other classes can be scored.
        #expect(dataset.classes == ["cat", "dog", "bird"])
        let scorable = try dataset.scorable(classes: ["cat", "dog"])
        #expect(scorable.dataset.items.count == 8 && scorable.unknown.map(\.name) == ["bird"])
        let near = try FileSet(splits: ["train"], more: ["val/Cat/1.jpg"]).dataset().obstacle
        #expect(near?.contains("differs from 'cat' only by case") == true)
    }
}
