//! The files in tests/data/images show one picture of 24x16 pixels: red grows from 0 to 255 to the
//! right, green downwards, and blue falls from 200 to 0 to the right. See the README beside them.

use std::path::PathBuf;

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/images")
        .join(name)
}

fn decode(name: &str) -> Image {
    Image::decode(&fs::read(file(name)).unwrap()).unwrap()
}

fn picture(column: usize, row: usize) -> [f64; 3] {
    let (x, y) = (column as f64 / 23.0, row as f64 / 15.0);
    [255.0 * x, 255.0 * y, 200.0 * (1.0 - x)]
}

fn grey(rgb: [f64; 3]) -> [f64; 3] {
    [0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]; 3]
}

/// Compares every pixel of a 24x16 image with what it should be.
fn assert_shows(image: &Image, tolerance: f64, expected: impl Fn(usize, usize) -> [f64; 3]) {
    assert_eq!((image.width(), image.height()), (24, 16));
    for (index, rgb) in image.rgb.chunks_exact(3).enumerate() {
        let expected = expected(index % 24, index / 24);
        for (value, expected) in rgb.iter().zip(expected) {
            let difference = (f64::from(*value) - expected).abs();
            assert!(
                difference <= tolerance,
                "pixel {index}: {rgb:?}, not {expected:?}"
            );
        }
    }
}

#[test]
fn colours_are_decoded_whatever_the_file_stores() {
    assert_shows(&decode("rgb.png"), 0.51, picture);
    assert_shows(&decode("rgb16.png"), 0.51, picture);
    assert_shows(&decode("rgb.jpg"), 8.0, picture);
    assert_shows(&decode("progressive.jpg"), 8.0, picture);
    assert_shows(&decode("palette.png"), 60.0, picture);
}

#[test]
fn greyscale_becomes_three_equal_channels() {
    assert_shows(&decode("grey.png"), 1.0, |x, y| grey(picture(x, y)));
    assert_shows(&decode("grey.jpg"), 4.0, |x, y| grey(picture(x, y)));
}

#[test]
fn inverted_cmyk_becomes_rgb() {
    assert_shows(&decode("cmyk.jpg"), 8.0, picture);
}

#[test]
fn transparency_is_laid_over_white() {
    let opacity = |x: usize| x as f64 / 23.0;
    let over = |rgb: [f64; 3], x| rgb.map(|value| value * opacity(x) + 255.0 * (1.0 - opacity(x)));
    assert_shows(&decode("rgba.png"), 1.6, |x, y| over(picture(x, y), x));
    assert_shows(&decode("grey_alpha.png"), 2.0, |x, y| {
        over(grey(picture(x, y)), x)
    });
}

#[test]
fn a_photograph_is_turned_as_its_camera_was_held() {
    let turned = decode("turned.jpg");
    assert_eq!((turned.width(), turned.height()), (16, 24));
    // Turned clockwise: the lower left corner, all green, comes to the upper left.
    let [_, green, _] = picture(0, 15);
    assert!((f64::from(turned.rgb[1]) - green).abs() < 8.0);
}

#[test]
fn a_truncated_file_is_an_error() {
    for name in ["rgb.jpg", "progressive.jpg", "rgb.png"] {
        let bytes = fs::read(file(name)).unwrap();
        for tenths in 0..10 {
            let part = &bytes[..bytes.len() * tenths / 10];
            assert!(
                Image::decode(part).is_err(),
                "{name}, {tenths} tenths of it"
            );
        }
    }
}

#[test]
fn a_file_of_another_kind_is_an_error() {
    let problem = |bytes: &[u8]| Image::decode(bytes).unwrap_err().to_string();
    assert_eq!(problem(b""), "is empty");
    assert_eq!(problem(b"GIF89a........"), "is neither JPEG nor PNG");
}

#[test]
fn resizing_cuts_the_longer_side_evenly() {
    let square = decode("rgb.png").resized(16, 16).unwrap();
    assert_eq!((square.width(), square.height()), (16, 16));
    // Columns 4 to 19 remain: no pixel is stretched.
    for (index, rgb) in square.rgb.chunks_exact(3).enumerate() {
        let [red, green, _] = picture(index % 16 + 4, index / 16);
        assert!((f64::from(rgb[0]) - red).abs() < 1.0 && (f64::from(rgb[1]) - green).abs() < 1.0);
    }
    assert!(square.resized(0, 16).is_err());
}

#[test]
fn a_part_that_needs_no_resizing_is_cut_out_at_whole_pixels() {
    let picture = decode("rgb.png");
    // Nine columns go: four on the left, five on the right, and half a column nowhere.
    let cut = picture.resized(15, 16).unwrap();
    for (cut, whole) in cut.rgb.chunks(3 * 15).zip(picture.rgb.chunks(3 * 24)) {
        assert_eq!(cut, &whole[3 * 4..3 * 19]);
    }
    // Five rows go: two above, three below.
    let cut = picture.resized(24, 11).unwrap();
    assert_eq!(cut.rgb, picture.rgb[3 * 24 * 2..3 * 24 * 13]);
    assert_eq!(picture.resized(24, 16).unwrap(), picture);
}

#[test]
fn an_image_of_any_size_fits_any_other() {
    let image = |width: u32, height: u32| Image {
        width,
        height,
        rgb: vec![7; 3 * (width * height) as usize],
    };
    // 29 / 224 * 224 and 3 / 331 * 331 are more than 29 and 3 in floating point.
    for side in (1..64).chain([223, 224, 225, 331]) {
        for wanted in [1, 7, 47, 49, 64, 75, 100, 224, 299, 331] {
            for image in [image(side, side), image(side, 40), image(40, side)] {
                let resized = image.resized(wanted, wanted).unwrap();
                assert!(resized.rgb.iter().all(|&value| value == 7));
            }
        }
    }
}

#[test]
fn planes_hold_one_colour_after_the_other() {
    let image = Image {
        width: 2,
        height: 1,
        rgb: vec![1, 2, 3, 4, 5, 6],
    };
    assert_eq!(image.planes(), [1, 4, 2, 5, 3, 6]);
}

#[test]
fn an_image_is_loaded_in_the_shape_of_the_network() {
    let pixels = load(&file("rgb.png"), [3, 16, 24]).unwrap();
    assert_eq!(pixels.len(), 3 * 16 * 24);
    assert_eq!((pixels[23], pixels[16 * 24 * 2]), (255.0, 200.0));
    let grey = load(&file("rgb.png"), [1, 16, 24]).unwrap();
    assert!((grey[23] - 0.299 * 255.0).abs() < 0.01);
    let error = load(&file("rgb.png"), [4, 16, 24]).unwrap_err().to_string();
    assert!(
        error.contains("rgb.png: a picture gives 3 channels or 1, not 4"),
        "{error}"
    );
    assert!(load(&file("missing.png"), [3, 16, 24]).is_err());
}
